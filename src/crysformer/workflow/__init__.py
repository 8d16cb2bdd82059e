"""What a user calls: phasing joined with reports and files."""
