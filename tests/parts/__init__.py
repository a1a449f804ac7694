"""The real parts that tests stand on: S3 servers, the proxy before them, and quilt3 kept apart."""
