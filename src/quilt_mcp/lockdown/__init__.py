"""What a child process gives up before it sees data of others: rights, files, network, programs, memory and time."""
