//! One key of a `.env` or JSON file, replaced atomically, and put back (`F1`, `R2`).
