DROP INDEX t_live; DROP INDEX t_low; DROP INDEX t_coal; DROP INDEX t_len;
