"""Reading what users bring: VCF files and the samples table."""
