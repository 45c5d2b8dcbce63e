"""What drivers of several devices share."""
