from deploy_core.command_line import main

raise SystemExit(main())
