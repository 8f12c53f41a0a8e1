-- What happened, counted per minute and per hour (`step`, in seconds), so that nobody who asks has to count
-- jobs. `at` is when the step began, in seconds since 1970; `measure` is model::Measure's code. The rows of
-- the present step are written again and again: room in their pages keeps that cheap.
create table jobs.tallies (
    step int not null,
    at bigint not null,
    queue text not null,
    measure smallint not null,
    n bigint not null,
    primary key (step, at, queue, measure)
) with (fillfactor = 50);
