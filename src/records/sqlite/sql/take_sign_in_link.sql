-- Uses a link up; what it was good for, if it was. Called when somebody follows it.
delete from sign_in_links
where digest = ?1
returning
    name,
    role,
    expires_at > cast(round(unixepoch('subsec') * 1000) as integer) as good
