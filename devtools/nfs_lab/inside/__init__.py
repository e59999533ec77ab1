"""What runs inside the guest: process 1, its network, the NFS server, and the programs under test."""
