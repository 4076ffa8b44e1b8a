"""The commands of `agegender`, a package each: the command, its logic, how it is shown."""
