SELECT id FROM note
