# PostgreSQL's server programs, which the demo and the tests start throwaway servers from; installed where they are missing.
.PHONY: postgres
postgres:
	@scripts/postgres-programs.sh
