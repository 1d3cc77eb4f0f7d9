//! Runs what a runbook tells us to run: commands in their own process group, HTTP calls, file writes; with time limits and capped output.
