"""What is told of the work: to whoever reads standard error, to an audit, to whoever measures."""
