-- Whose rows this transaction may see, where the platform has row security on. Called by every transaction.
select set_config('app.tenant_id', $1, true)
