"""Suites of Ruby clients: RSpec of Debian's Ruby."""

from . import results
from .model import Outcome, Run, Source, Suite
from .obtain import debian, packages

# Needed by tests of what a broker is not asked for here: management over HTTP, a proxy, TLS.
WITHOUT = ("toxiproxy", "tls_connection", "stress", "issue202", "connection_recovery")
FORMATTER = '''
require "rspec/core/formatters/base_formatter"

# One line a test, and nothing else: what tests print stands between.
class Verdicts < RSpec::Core::Formatters::BaseFormatter
  RSpec::Core::Formatters.register self, :example_passed, :example_failed, :example_pending

  def example_passed(told) = say("ok", told)
  def example_failed(told) = say("not ok", told)
  def example_pending(told) = output.puts("ok - #{told.example.full_description} # skip")

  private

  def say(verdict, told)
    output.puts "#{verdict} - #{told.example.full_description.tr("#", " ")} (#{told.example.location})"
    output.flush
  end
end
'''


def prepare(source: Source) -> None:
    packages("ruby", "ruby-rspec", "ruby-amq-protocol", "ruby-sorted-set")
    ours = source.work / "ruby"
    ours.mkdir(exist_ok=True)
    # Their gems come from Debian, so that there is nothing to bundle.
    (ours / "bundler.rb").write_text("module Bundler\n  def self.require(*); end\nend\n")
    (ours / "verdicts.rb").write_text(FORMATTER)


def run(run: Run) -> Outcome:
    source, report = run.source, run.log("report.tap")
    report.unlink(missing_ok=True)
    specs = sorted(
        str(path.relative_to(source.folder))
        for path in source.folder.glob("spec/**/*_spec.rb")
        if not any(word in str(path) for word in WITHOUT)
    )
    command = ["rspec", "-I", source.work / "ruby", "-I", "lib", "-r", "verdicts"]
    command += ["--format", "progress", "--format", "Verdicts", "--out", report, *specs]
    _, note = run.execute(command, {"CI": "true"}, limit=1200)
    return results.tap(report.read_text() if report.exists() else "", note)


SUITES = [
    Suite(
        "bunny",
        debian("ruby-bunny"),
        prepare,
        run,
        fixed_port=True,
        users=("bunny_gem:bunny_password", "bunny_reader:reader_password"),
        vhosts=("bunny_testbed", "bunny_dqt_classic", "bunny_dqt_quorum", "bunny_dqt_stream"),
    ),
]
