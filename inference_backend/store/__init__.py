"""What the service keeps on disk while it lives: scans, images and results, private and capped in size."""
