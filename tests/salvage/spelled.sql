SELECT group_concat(line, char(10)) FROM (
    SELECT concat_ws(' | ', Id, Slug, Title, typeof(Price) || ' ' || Price, typeof(Rating) || ' ' || Rating, typeof(Active) || ' ' || Active,
        ifnull(typeof(Created) || ' ' || Created, 'NULL'), typeof(Blob) || ' ' || hex(Blob), typeof(Icon) || ' ' || hex(Icon)) AS line
    FROM Tools WHERE Id IN (2, 5)
    UNION ALL SELECT concat_ws(' | ', Id, ToolId, typeof(At) || ' ' || At) FROM Orders WHERE Id = 4)
