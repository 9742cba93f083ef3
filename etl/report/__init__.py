"""The quality report: one HTML file from the frames that the steps leave behind."""
