//! One contract, several stores: every case runs against each of them.
//!
//! A case is a plain async function over a [`fixture::Fixture`]; a store is admitted by one
//! `store_conformance!` line at the end of this file. `cargo nextest run` names them
//! `sqlite::claim::takes_each_job_once`. Differences are declared as capabilities, and a case that
//! needs one asserts what a store without it answers instead.
#![expect(clippy::unwrap_used, reason = "a case that cannot go on has failed")]

mod append_only;
mod at_rest;
mod backend;
mod fixture;

mod checkpoints;
mod claim;
mod control;
mod elect;
mod enqueue;
mod finish;
mod flows;
mod flows_any;
mod flows_operate;
mod governed;
mod governor;
mod handles;
mod heartbeat;
mod idempotency;
mod migrate;
mod model;
mod news;
mod only_postgres;
mod operate;
mod ordering;
mod prune;
mod races;
mod read;
mod rescue;
mod scheduler;
mod schedules;
mod signals;
mod tallies;
mod times;
mod transactions;
mod unique;
mod wakes;
mod workers;

/// Every case, by the verb it is about. One that is missing here is reported as dead code.
macro_rules! store_conformance {
    ($store:ident, $backend:ty) => {
        store_conformance! { $store, $backend;
            enqueue {
                stores_every_field,
                answers_in_the_order_of_the_jobs,
                a_due_job_is_available,
                a_later_job_is_scheduled_until_its_very_microsecond,
                a_time_gone_by_means_now,
                a_time_may_lie_at_the_end_of_all_time,
                the_same_id_again_is_a_duplicate_and_changes_nothing,
                of_one_id_twice_in_one_call_the_first_counts,
                the_id_of_a_finished_job_is_a_duplicate,
                one_id_enqueued_by_many_at_once_is_one_job,
                no_jobs_are_no_fault,
                takes_a_hundred_thousand_in_one_call,
                args_come_back_to_the_letter,
                a_mebibyte_of_args_comes_back,
                the_deepest_args_come_back,
                words_of_every_language_come_back,
                the_stores_own_clock_counts_when_none_is_given,
            }
            unique {
                a_key_is_held_in_every_unfinished_state,
                a_waiting_job_holds_its_key,
                a_key_is_free_however_its_job_finished,
                a_window_outlasts_its_job_to_the_microsecond,
                a_window_that_ends_frees_no_unfinished_job,
                a_window_outlasts_even_retention,
                kinds_and_tenants_have_their_own_keys,
                queues_share_keys,
                keys_are_told_apart_to_the_letter,
                return_existing_leaves_the_holder_alone,
                reject_names_the_holder,
                the_newer_job_says_what_a_conflict_means,
                replace_gives_the_holder_new_args_priority_and_time,
                replace_can_make_a_later_job_due,
                replace_keeps_the_attempts_of_a_retryable_job,
                replace_leaves_a_running_job_alone,
                replace_leaves_a_finished_job_alone,
                replace_lets_no_waiting_job_jump_its_line,
                within_one_call_the_first_wins,
                a_call_may_mix_new_jobs_and_duplicates,
                twenty_at_once_make_one_row,
                calls_that_cross_each_others_keys_do_not_deadlock,
            }
            idempotency {
                the_same_request_gives_the_same_job,
                another_request_under_the_key_is_refused,
                is_remembered_when_the_job_has_finished_and_gone,
                is_forgotten_at_the_end_of_its_window,
                a_repeat_does_not_prolong_the_window,
                tenants_have_their_own_keys,
                kinds_share_keys,
                comes_before_the_unique_key,
                a_unique_duplicate_is_remembered_as_its_holder,
                a_replacing_request_is_remembered_as_the_replaced_job,
                a_rejected_request_is_judged_again,
                within_one_call_the_first_wins,
                twenty_at_once_make_one_job,
            }
            ordering {
                only_the_first_may_be_claimed,
                jobs_run_in_the_order_of_their_enqueue,
                one_call_keeps_the_order_of_its_jobs,
                the_next_goes_however_the_first_ended,
                the_next_goes_when_an_operator_ends_the_first,
                ending_a_waiting_job_lets_nobody_jump,
                a_first_job_that_comes_back_still_leads,
                the_next_goes_when_the_first_crashed_too_often,
                a_first_job_that_is_due_later_holds_the_others_up,
                the_next_keeps_its_own_time,
                a_waiting_job_becomes_due_only_by_its_turn,
                tenants_and_keys_do_not_wait_for_each_other,
                queues_and_kinds_share_an_order,
                a_key_that_is_free_again_makes_nobody_wait,
                a_revived_job_waits_if_others_came_meanwhile,
                a_revived_job_alone_goes_at_once,
                one_call_of_finishes_hands_on_many_keys,
                twenty_at_once_make_one_line,
                an_enqueue_that_meets_a_finish_is_never_stranded,
                many_claimers_never_run_two_jobs_of_a_key,
            }
            claim {
                goes_by_priority_then_time_then_id,
                small_claims_add_up_to_the_same_order,
                takes_no_more_than_the_limit,
                a_limit_of_none_takes_none,
                takes_only_from_its_queue,
                gives_a_worker_all_it_needs,
                marks_the_job_as_running,
                every_claim_has_a_higher_number,
                a_failed_job_is_due_at_its_very_microsecond,
                an_expired_lease_is_still_a_lease,
                a_released_job_is_found_behind_the_last_claim,
                a_more_urgent_job_is_found_behind_the_last_claim,
                an_empty_queue_gives_nothing_and_then_something,
                next_due_tells_how_long_to_wait,
                running_and_finished_jobs_are_not_due,
                takes_each_job_once,
                takes_each_of_a_hundred_thousand_once,
            }
            finish {
                complete_records_the_result,
                complete_needs_no_result,
                a_null_result_is_a_result,
                retry_uses_the_attempt,
                a_retry_at_once_is_available,
                snooze_gives_the_attempt_back,
                release_gives_back_attempt_and_place,
                cancel_and_dead_finish_the_job,
                an_outcome_and_its_error_are_kept_as_told,
                a_dead_job_keeps_the_history_of_all_its_attempts,
                history_keeps_the_first_and_the_newest,
                a_rescued_job_is_fenced,
                a_snoozed_and_reclaimed_job_is_fenced,
                a_finished_job_is_fenced,
                a_revived_job_is_fenced,
                a_lease_that_was_never_given_is_fenced,
                an_unknown_job_has_no_lease,
                an_expired_lease_counts_until_it_is_taken_back,
                of_two_ends_in_one_call_the_first_counts,
                a_stale_end_in_the_same_call_does_not_stand_in_the_way,
                one_call_may_end_jobs_in_every_way,
                a_thousand_ends_in_one_call,
                no_ends_are_no_fault,
                of_twenty_ends_at_once_one_counts,
                a_wish_to_cancel_ends_with_the_attempt,
                a_wish_to_cancel_outlives_every_way_to_come_back,
                a_wish_to_cancel_undoes_no_success_and_no_death,
                what_is_cancelled_on_its_way_back_frees_its_line_and_key,
                progress_is_kept_with_the_job,
                a_mebibyte_of_result_comes_back,
                a_finished_job_keeps_what_it_was,
            }
            governed {
                goes_by_priority_then_time,
                gives_a_worker_all_it_needs,
                ordinary_claims_do_not_see_governed_jobs,
                what_was_enqueued_before_or_elsewhere_is_governed_too,
                what_runs_already_is_counted,
                handing_back_leaves_nothing_behind,
                governed_jobs_come_back_governed,
                a_revived_job_keeps_its_limit_key,
                limits_of_queue_kind_and_key_hold,
                a_job_may_choose_its_key,
                what_a_limit_holds_back_does_not_hide_the_rest,
                tokens_come_back_in_time,
                tenants_take_turns,
                one_tenants_many_keys_hide_no_other_tenant,
                ageing_lets_the_least_urgent_run,
                a_pause_holds_its_jobs_and_no_others,
                ordering_keys_are_kept,
                a_later_job_says_when_to_come,
                counts_in_the_figures_of_its_queue,
                no_limit_is_passed_by_many_at_once,
            }
            heartbeat {
                extends_the_lease_from_now,
                a_job_that_beats_is_never_taken_back,
                an_expired_lease_may_still_be_extended,
                a_rescued_lease_is_lost,
                a_finished_lease_is_lost,
                an_unknown_lease_is_lost,
                tells_of_a_wish_to_cancel_and_keeps_the_lease,
                many_leases_are_told_apart,
                no_leases_are_no_fault,
            }
            rescue {
                waits_until_the_lease_has_expired,
                a_crash_uses_no_attempt_but_is_counted,
                a_job_that_kills_its_process_is_set_aside,
                tells_which_job_it_was,
                grants_a_wish_to_cancel,
                takes_the_longest_overdue_first,
                leaves_everything_else_alone,
                goes_by_the_age_of_no_job,
                many_at_once_take_each_job_back_once,
            }
            operate {
                cancel_ends_whatever_does_not_run,
                cancel_asks_a_running_job_to_stop,
                a_cancelled_job_is_never_claimed,
                a_cancel_that_meets_a_claim_is_done_or_asked,
                discard_sets_aside_whatever_does_not_run,
                requeue_makes_what_waits_for_a_time_due,
                requeue_revives_a_finished_job,
                requeue_refuses_what_runs_or_waits_its_turn,
                a_revived_job_takes_its_unique_key_back,
                a_revived_job_does_not_take_a_held_key,
                a_window_holds_a_key_against_a_revived_job,
                a_jobs_own_window_does_not_hold_it_back,
                a_job_may_be_revived_again_and_again,
                of_two_revivals_at_once_one_job_comes,
                an_unknown_job_is_not_found,
                nobody_touches_another_tenants_jobs,
                a_tenant_may_touch_its_own_jobs,
            }
            times {
                a_finished_job_is_tried_again_at_its_time,
                an_unfinished_job_is_snoozed_and_keeps_its_attempts,
                a_snooze_refuses_what_does_not_wait_for_a_time,
                a_snoozed_job_is_found_after_others_were_claimed,
                an_ordered_job_keeps_its_line_waiting,
                an_ordered_job_waits_for_its_line_and_its_time,
                a_governed_job_comes_at_its_time,
                a_step_is_tried_again_at_its_time,
                the_log_tells_the_time,
            }
            races {
                of_an_available_job,
                of_a_running_job,
                of_a_job_whose_worker_vanished,
                of_a_job_that_waits_to_be_retried,
                of_a_finished_job,
            }
            prune {
                keeps_a_job_for_its_time_and_no_longer,
                each_state_has_its_own_time,
                never_touches_the_unfinished,
                a_revived_job_is_unfinished,
                goes_by_the_end_and_not_by_the_enqueue,
                goes_on_where_the_limit_stopped_it,
                works_across_many_days,
                keeping_for_ever_keeps_for_ever,
            }
            read {
                an_unknown_job_is_none,
                nobody_sees_another_tenants_job,
                get_and_list_tell_the_same,
                lists_the_newest_first_finished_or_not,
                filters_by_the_state_as_of_now,
                filters_by_several_states,
                filters_by_each_field,
                what_is_rare_is_found_however_many_are_newer,
                all_that_is_set_must_match,
                filters_find_finished_jobs,
                words_are_matched_whole_and_to_the_letter,
                pages_add_up_to_the_whole,
                pages_hold_still_while_jobs_arrive,
                pages_lose_no_job_that_finishes_meanwhile,
                a_page_has_one_to_a_thousand_jobs,
                a_cursor_need_not_name_a_job_that_is_there,
                queues_tell_how_each_stands,
                queues_tell_the_oldest_due_job,
                queues_without_unfinished_jobs_are_not_told,
            }
            tallies {
                adds_up_within_a_minute_and_begins_anew_in_the_next,
                tells_longer_steps_of_the_same,
                forgets_the_steps_of_one_grain,
                loses_nothing_that_many_count_at_once,
            }
            workers {
                nobody_works_at_first,
                a_beat_tells_all_about_a_worker,
                a_later_beat_renews_all_but_the_start,
                who_is_silent_for_a_day_is_not_told,
                who_stops_is_forgotten,
                forgetting_one_forgets_the_silent,
            }
            elect {
                the_first_to_ask_leads,
                roles_are_separate,
                an_expired_term_may_be_taken,
                asking_again_prolongs_the_term,
                a_refused_wish_changes_nothing,
                whoever_resigns_lets_the_next_lead,
                nobody_resigns_for_another,
                of_twenty_at_once_one_leads,
            }
            control {
                a_setting_comes_back_to_the_letter,
                settings_are_told_by_space_and_name,
                every_change_has_a_higher_version,
                a_change_tells_how_it_was_and_is,
                deleting_what_is_not_there_does_nothing,
                a_change_from_an_unexpected_version_is_refused,
                of_many_writers_at_once_one_wins_each_version,
                a_change_is_recorded_with_before_and_after,
                the_log_keeps_every_field,
                the_log_is_searched_by_each_field,
                pages_of_the_log_add_up,
                retention_takes_the_oldest_of_the_log,
                wishes_to_cancel_are_told_to_whoever_runs_the_job,
                one_operation_goes_over_many_jobs,
                a_whole_line_may_be_cancelled_at_once,
                an_operation_is_recorded_with_what_it_did,
                a_requeued_job_may_get_other_args,
                an_operation_under_a_lost_lease_does_nothing,
                matching_tells_what_a_list_tells,
            }
            at_rest {
                a_walk_meets_every_job_once_by_id,
                a_walk_tells_only_what_is_in_an_envelope,
                a_value_is_rewritten_only_if_it_is_as_it_was,
                a_running_job_keeps_its_lease,
                what_has_finished_is_rewritten_where_it_lies,
            }
            news {
                tells_what_finished_and_nothing_else,
                pages_meet_each_job_once_in_the_order_they_finished,
            }
            checkpoints {
                comes_with_every_later_claim,
                the_last_one_counts,
                is_kept_to_the_letter,
                survives_a_requeue_of_the_unfinished,
                is_gone_when_the_job_has_finished,
                a_lost_lease_keeps_nothing,
                commits_with_the_callers_rows,
            }
            flows {
                a_step_waits_for_all_its_parents,
                a_flow_tells_how_it_stands,
                parents_hand_on_what_they_recorded,
                a_failed_parent_cancels_what_needs_it,
                callbacks_run_when_their_time_has_come,
                callbacks_that_are_not_needed_are_skipped,
                a_step_that_dies_of_crashes_has_failed,
                an_operator_ends_a_step_like_any_other,
                a_long_chain_falls_as_one,
                a_step_keeps_its_own_time,
                a_step_joins_its_line_when_it_may_run,
                a_step_is_let_go_once_by_many_at_once,
                the_same_flow_again_changes_nothing,
                a_flow_starts_with_the_callers_rows,
                a_step_finishes_with_the_callers_rows,
                a_fan_out_of_ten_thousand_comes_together,
            }
            flows_operate {
                cancel_ends_all_that_has_not,
                retry_runs_what_failed_again,
                retry_from_a_step_runs_all_after_it_again,
                retry_says_why_it_cannot,
                reviving_a_step_goes_on_with_its_flow,
                retention_takes_no_result_that_is_needed,
                retention_takes_flows_with_their_jobs,
                flows_are_listed_newest_first,
                steps_are_told_page_by_page,
                nobody_touches_another_tenants_flow,
            }
            signals {
                a_job_waits_for_its_signal,
                a_signal_that_came_before_is_found_at_once,
                a_wait_ends_at_its_very_microsecond,
                a_late_signal_wakes_nothing_else,
                only_an_unfinished_job_of_the_tenant_gets_one,
                a_revived_job_starts_without,
                upkeep_forgets_those_of_finished_jobs,
                a_signal_that_meets_the_wait_is_never_missed,
            }
            transactions {
                a_job_commits_with_the_callers_rows,
                a_rolled_back_enqueue_leaves_nothing,
                a_job_is_unseen_until_the_commit,
                unique_keys_count_within_a_transaction,
                ordering_keys_count_within_a_transaction,
                a_finish_commits_with_the_callers_rows,
                a_rolled_back_finish_leaves_the_lease,
                every_verdict_can_join,
                a_lost_lease_is_told_before_the_commit,
                two_enqueues_stand_or_fall_together,
                a_transaction_of_another_database_is_refused,
            }
            wakes {
                an_enqueue_wakes_its_queue,
                whatever_makes_a_job_due_wakes_its_queue,
                whoever_is_next_in_line_is_woken,
                everyone_who_listens_is_woken,
                hints_reach_other_handles_where_the_store_says_so,
                a_committed_enqueue_wakes_and_a_rolled_back_one_does_not,
            }
            schedules {
                are_kept_as_declared_and_count_from_then,
                make_a_tick_and_its_job_together_and_once,
                fire_once_though_twenty_fire_at_once,
                fire_nothing_that_is_decided,
                stop_and_go_on_as_operators_say,
                retire_when_no_program_has_them,
                skip_while_an_earlier_job_is_unfinished,
                let_jobs_overlap_or_wait,
                cancel_the_previous_and_run_after_it,
                say_which_job_stands_for_a_duplicate,
                backfill_what_was_left_out_and_nothing_twice,
                tell_their_ticks_page_by_page,
                remember_how_jobs_ended_when_those_are_gone,
                forget_old_ticks_but_fire_none_again,
            }
            scheduler {
                fire_each_tick_once_with_ten_schedulers_and_three_leaders_killed,
                fire_each_tick_once_though_everyone_leads,
                catch_up_after_an_outage_of_two_days_as_each_policy_says,
                fire_nothing_again_after_retention,
                refuse_bad_schedules_with_the_reason_and_create_nothing,
            }
            governor {
                a_pause_of_a_kind_stops_that_kind_and_its_end_runs_it,
                a_pause_of_a_tenant_stops_that_tenant_and_its_end_runs_it,
                a_pause_of_a_kind_of_a_tenant_stops_just_that,
                a_policy_is_followed_and_let_go_of_while_jobs_run,
            }
            handles {
                see_each_others_jobs,
                share_leases,
                share_leaders,
                what_is_durable_outlives_its_handle,
                tell_who_they_are,
                agree_on_the_time,
            }
            migrate {
                is_harmless_when_there_is_nothing_to_do,
                may_be_asked_for_by_many_at_once,
                upkeep_is_harmless_at_any_time,
                an_older_program_works_on_newer_tables,
                an_older_program_refuses_tables_that_were_contracted,
                a_newer_program_says_which_migrations_are_missing,
            }
        }
    };
    ($store:ident, $backend:ty; $($groups:tt)+) => {
        mod $store {
            #[test]
            fn any_sequence_of_operations_agrees_with_memory() {
                crate::model::any_sequence_of_operations_agrees_with_memory::<$backend>();
            }

            #[test]
            fn any_flow_runs_by_the_rules() {
                crate::flows_any::any_flow_runs_by_the_rules::<$backend>();
            }

            cases! { $backend; $($groups)+ }
        }
    };
}

/// Some of them.
macro_rules! cases {
    ($backend:ty; $($group:ident { $($case:ident,)+ })+) => {
        $(mod $group {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::fixture::run::<$backend>(crate::$group::$case).await;
            })+
        })+
    };
}

store_conformance!(memory, crate::backend::Memory);
store_conformance!(sqlite, crate::backend::Sqlite);
store_conformance!(postgres, crate::backend::Postgres);
mod pgbouncer;
