//! The command `lightbus`. One file for each of its commands.

mod dev;

use clap::{Parser, Subcommand};

/// The typed bus between ordinary applications.
#[derive(Debug, Parser)]
#[command(name = "lightbus", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Dev),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> miette::Result<()> {
    match Cli::parse().command {
        Command::Dev(dev) => dev.run().await?,
    }
    Ok(())
}
