"""What a registry answers about its packages: their list, one of them, its history."""
