SELECT count(*) FROM z_by_region; SELECT top FROM a_top; SELECT n FROM counter
