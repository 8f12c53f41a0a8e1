-- Whether row security hides other tenants' channels from this role. Called before channels of all are looked at.
select row_security_active('tenants') or row_security_active('channels')
