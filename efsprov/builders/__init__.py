"""Where the pipeline runs: on this machine, on a host over SSH, on an EC2 instance that is launched for it."""
