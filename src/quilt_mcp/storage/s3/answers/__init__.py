"""What S3 answers, as botocore is to take it: bounded, and listings read in one pass."""
