//! The command line: one file per subcommand, exit codes.
