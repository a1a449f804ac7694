"""SQL in a box: what a query may say, and the process that runs it over the files it is given and nothing else."""
