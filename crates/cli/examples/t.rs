fn main() -> std::process::ExitCode { dohle_cli::run(std::env::args_os().collect()) }
