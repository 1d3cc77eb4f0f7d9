SELECT created, seen AT TIME ZONE 'UTC' FROM "user"
