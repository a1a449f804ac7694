"""admin_*: administration of a Quilt stack. Listed for its administrators, and in part for each of its users."""
