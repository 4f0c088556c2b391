"""UCI HAR: activities from a smartphone at the waist."""
