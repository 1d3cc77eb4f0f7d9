SELECT * FROM mediawiki.page
