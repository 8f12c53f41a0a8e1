-- Makes a link good for one sign-in. Called when a demo starts.
insert into sign_in_links (digest, name, role, expires_at)
values (?1, ?2, ?3, cast(round(unixepoch('subsec') * 1000) as integer) + ?4)
