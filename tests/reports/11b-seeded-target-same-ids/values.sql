SELECT "Id", "Name" FROM "Profiles" ORDER BY 1; SELECT "Id", "Title", "ProfileId" FROM "Movies"
