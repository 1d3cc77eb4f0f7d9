SELECT rounded FROM account ORDER BY id
