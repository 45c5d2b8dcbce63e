"""Tag files of every supported format, as streams of 32-bit records with one layout table."""
