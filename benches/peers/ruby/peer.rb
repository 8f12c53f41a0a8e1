# frozen_string_literal: true

# Sidekiq on Redis under the same measurement as ours: the roles of
# crates/windlass/benches/support/roles.rs for Ruby, with the same job, the same clock and the same way to
# count, and one line of JSON at the end.
#
#   ruby peer.rb sidekiq-stock|sidekiq-tuned URL ROLE...
#
# Tuned is as its own benchmark (bin/sidekiqload): 15 threads, and no line in the log per job. It removes a
# job when it takes it, so a job that started is done.

require "json"
require "sidekiq/cli"
require "sidekiq/api"
require "sidekiq/launcher"

# Rows per call where a client enqueues many at once.
BULK = 5_000
# Of more jobs than this, single waits are not kept.
MOST_WAITS = 20_000

# Microseconds since 1970.
def now
  Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
end

# Counts and times the starts of jobs.
class Probe
  attr_reader :first, :count

  def initialize(expected)
    @expected = expected
    @count = 0
    @waits = []
    @lock = Mutex.new
  end

  def started(sent)
    at = now
    @lock.synchronize do
      @count += 1
      @first ||= at
      @waits << at - sent if @expected <= MOST_WAITS
    end
  end

  def percentile(percent)
    sorted = @waits.sort
    return 0 if sorted.empty?

    sorted[[sorted.size * percent / 100, sorted.size - 1].min] / 1e3
  end
end

# The job: nothing to do.
class Noop
  include Sidekiq::Worker

  class << self
    attr_accessor :probe
  end

  def perform(sent)
    self.class.probe.started(sent)
  end
end

def per_second(jobs, micros)
  jobs * 1e6 / micros
end

def single(jobs)
  # Connections are not what is measured.
  Noop.perform_async(now)
  began = now
  (jobs - 1).times { Noop.perform_async(now) }
  { rate: per_second(jobs - 1, now - began) }
end

def bulk(jobs)
  began = now
  left = jobs
  while left.positive?
    portion = [left, BULK].min
    sent = now
    Sidekiq::Client.push_bulk("class" => Noop, "args" => Array.new(portion) { [sent] })
    left -= portion
  end
  { rate: per_second(jobs, now - began) }
end

# On a timetable: one that is late sends at once, and its wait counts from then.
def steady(rate, seconds)
  began = now
  (rate * seconds).times do |at|
    early = began + at * 1_000_000 / rate - now
    sleep(early / 1e6) if early.positive?
    Noop.perform_async(now)
  end
  { rate: per_second(rate * seconds, now - began) }
end

# Works until all have started, or time is up.
def work(jobs, seconds)
  Noop.probe = Probe.new(jobs)
  launcher = Sidekiq::Launcher.new(Sidekiq.options)
  until_then = now + seconds * 1_000_000
  launcher.run
  sleep 0.002 until Noop.probe.count >= jobs || now > until_then
  ended = now
  ran = [Noop.probe.count, jobs].min
  launcher.stop
  {
    # One that started nothing has a rate of nothing.
    rate: per_second(ran, ended - (Noop.probe.first || 0)),
    ran: ran,
    complete: ran == jobs && Sidekiq::Queue.new.size.zero?,
    wait_p50: Noop.probe.percentile(50),
    wait_p99: Noop.probe.percentile(99)
  }
end

# MiB.
def peak_memory
  File.read("/proc/self/status")[/^VmHWM:\s+(\d+) kB$/, 1].to_f / 1024
end

def cpu_time
  times = Process.times
  times.utime + times.stime
end

subject, url, role, first, second = ARGV
settings = subject&.delete_prefix("sidekiq-")
abort "usage: peer.rb sidekiq-stock|sidekiq-tuned URL ROLE..." unless %w[stock tuned].include?(settings) && role
tuned = settings == "tuned"

# Written, but nowhere: by default it writes two lines per job.
Sidekiq.logger = Sidekiq::Logger.new(File::NULL, level: tuned ? Logger::ERROR : Logger::INFO)
# This Sidekiq calls the redis gem as older ones were called; a warning per call is not what is measured.
Redis.silence_deprecations = true
Sidekiq.options[:queues] = ["default"]
Sidekiq.options[:concurrency] = 15 if tuned
Sidekiq.redis = { url: url, size: Sidekiq.options[:concurrency] + 5 }

found =
  case role
  when "set-up" then {}
  when "single" then single(Integer(first))
  when "bulk" then bulk(Integer(first))
  when "steady" then steady(Integer(first), Integer(second))
  when "work-for" then work(Integer(first), Integer(second))
  when "count" then { finished: Sidekiq::Stats.new.processed }
  else abort "no role is called #{role}"
  end
nothing = { rate: 0, slowest: 0, wait_p50: 0, wait_p99: 0, ran: 0, complete: false, finished: 0 }
puts nothing.merge(found, memory: peak_memory, cpu: cpu_time).to_json
