"""What the workflows share when they train and report."""
