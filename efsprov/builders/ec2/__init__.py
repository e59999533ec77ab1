"""The EC2 builder: an instance that is launched beside the file system, verified, used, and surely gone."""
