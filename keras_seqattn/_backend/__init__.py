"""What differs between the backends, each difference in one place."""
