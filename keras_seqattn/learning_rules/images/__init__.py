"""Rules of learning compared on images."""
