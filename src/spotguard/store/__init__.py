"""The database: tables, statements by noun, migrations, rows to domain and back."""
