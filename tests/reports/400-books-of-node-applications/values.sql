SELECT name FROM payload_migrations; SELECT hash FROM strapi_database_schema; SELECT name FROM xc_knex_migrationsv2; SELECT name FROM bird_migrations
