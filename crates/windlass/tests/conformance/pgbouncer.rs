//! PostgreSQL behind a pooler of transactions: of each verb, what that could break. The rest of the
//! contract has passed there too, and takes as long as PostgreSQL's own.

cases! { crate::backend::PgBouncer;
    enqueue {
        stores_every_field,
        the_same_id_again_is_a_duplicate_and_changes_nothing,
        one_id_enqueued_by_many_at_once_is_one_job,
        takes_a_hundred_thousand_in_one_call,
        a_mebibyte_of_args_comes_back,
    }
    unique {
        a_window_outlasts_its_job_to_the_microsecond,
        twenty_at_once_make_one_row,
        calls_that_cross_each_others_keys_do_not_deadlock,
    }
    idempotency {
        twenty_at_once_make_one_job,
    }
    ordering {
        twenty_at_once_make_one_line,
        an_enqueue_that_meets_a_finish_is_never_stranded,
        many_claimers_never_run_two_jobs_of_a_key,
    }
    claim {
        goes_by_priority_then_time_then_id,
        gives_a_worker_all_it_needs,
        every_claim_has_a_higher_number,
        next_due_tells_how_long_to_wait,
        takes_each_job_once,
    }
    finish {
        complete_records_the_result,
        a_rescued_job_is_fenced,
        one_call_may_end_jobs_in_every_way,
        a_thousand_ends_in_one_call,
        of_twenty_ends_at_once_one_counts,
    }
    governed {
        gives_a_worker_all_it_needs,
        limits_of_queue_kind_and_key_hold,
        tenants_take_turns,
        no_limit_is_passed_by_many_at_once,
    }
    heartbeat {
        a_job_that_beats_is_never_taken_back,
        many_leases_are_told_apart,
    }
    rescue {
        waits_until_the_lease_has_expired,
        many_at_once_take_each_job_back_once,
    }
    elect {
        of_twenty_at_once_one_leads,
    }
    news {
        tells_what_finished_and_nothing_else,
    }
    operate {
        cancel_asks_a_running_job_to_stop,
        a_cancel_that_meets_a_claim_is_done_or_asked,
    }
    flows {
        a_step_waits_for_all_its_parents,
        a_step_is_let_go_once_by_many_at_once,
        a_step_finishes_with_the_callers_rows,
    }
    transactions {
        a_job_commits_with_the_callers_rows,
        a_rolled_back_finish_leaves_the_lease,
    }
    wakes {
        hints_reach_other_handles_where_the_store_says_so,
        a_committed_enqueue_wakes_and_a_rolled_back_one_does_not,
    }
    schedules {
        fire_once_though_twenty_fire_at_once,
    }
    governor {
        a_policy_is_followed_and_let_go_of_while_jobs_run,
    }
    handles {
        see_each_others_jobs,
        share_leases,
        share_leaders,
    }
    migrate {
        may_be_asked_for_by_many_at_once,
        upkeep_is_harmless_at_any_time,
    }
}
