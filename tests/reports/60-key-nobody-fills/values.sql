SELECT id, t FROM note
