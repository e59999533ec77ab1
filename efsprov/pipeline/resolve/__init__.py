"""What runs at the orchestrator: requirements become a lock, wheels are held against the target, and a plan comes out."""
