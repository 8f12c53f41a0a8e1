-- What happened, counted per minute and per hour (`step`, in seconds), so that nobody who asks has to count
-- jobs. `at` is when the step began, in seconds since 1970; `measure` is model::Measure's code.
create table job_tallies (
    step integer not null,
    at integer not null,
    queue text not null,
    measure integer not null,
    n integer not null,
    primary key (step, at, queue, measure)
) strict, without rowid;
