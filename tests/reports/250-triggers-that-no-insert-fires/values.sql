SELECT updated_at FROM account; SELECT count(*) FROM pg_trigger WHERE tgrelid = 'account'::regclass AND tgenabled = 'O'
