"""The form of the platforms' files, as their references have it and as far as our files go. Every key is named."""

TEXT = {"type": "string", "minLength": 1}
NUMBER = {"type": "integer", "minimum": 0}
YES = {"type": "boolean"}


def exactly(required: str, optional: str = "", /, **known):
    """An object with these keys and no others."""
    return {
        "type": "object",
        "properties": known,
        "required": required.split(),
        "additionalProperties": False,
        "propertyNames": {"enum": [*required.split(), *optional.split()]},
    }


def several(one, **more):
    return {"type": "array", "items": one, "minItems": 1, **more}


SCHEMAS = {
    "railway.json": exactly(
        "$schema build deploy",
        **{"$schema": {"const": "https://railway.com/railway.schema.json"}},
        build=exactly("builder dockerfilePath", builder={"const": "DOCKERFILE"}, dockerfilePath=TEXT),
        # The parser takes numbers only, whatever the examples of the reference show.
        deploy=exactly(
            "healthcheckPath healthcheckTimeout restartPolicyType restartPolicyMaxRetries"
            " overlapSeconds drainingSeconds",
            healthcheckPath=TEXT,
            healthcheckTimeout=NUMBER,
            restartPolicyType={"enum": ["ON_FAILURE", "ALWAYS", "NEVER"]},
            restartPolicyMaxRetries=NUMBER,
            overlapSeconds=NUMBER,
            drainingSeconds=NUMBER,
        ),
    ),
    "render.yaml": exactly(
        "services",
        services=several(
            exactly(
                "type name runtime plan healthCheckPath maxShutdownDelaySeconds envVars",
                "disk",
                type={"const": "web"},
                name=TEXT,
                runtime={"const": "docker"},
                plan={"enum": ["starter", "standard", "pro"]},
                healthCheckPath=TEXT,
                maxShutdownDelaySeconds={"type": "integer", "minimum": 1, "maximum": 300},
                envVars=several(
                    {
                        "oneOf": [
                            exactly("key value", key=TEXT, value=TEXT),
                            exactly("key sync", key=TEXT, sync={"const": False}),
                            exactly("key generateValue", key=TEXT, generateValue={"const": True}),
                        ]
                    }
                ),
            )
        ),
    ),
    "fly.toml": exactly(
        "app primary_region kill_signal kill_timeout build env http_service mounts vm",
        app={"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"},
        primary_region={"type": "string", "pattern": "^[a-z]{3}$"},
        kill_signal={"const": "SIGTERM"},
        kill_timeout={"type": "integer", "minimum": 1, "maximum": 300},
        build=exactly("dockerfile", dockerfile=TEXT),
        env={"type": "object", "additionalProperties": TEXT},
        http_service=exactly(
            "internal_port force_https auto_stop_machines auto_start_machines min_machines_running concurrency checks",
            internal_port=NUMBER,
            force_https=YES,
            auto_stop_machines={"enum": ["off", "stop", "suspend"]},
            auto_start_machines=YES,
            min_machines_running={"type": "integer", "minimum": 1},
            concurrency=exactly(
                "type soft_limit hard_limit",
                type={"enum": ["connections", "requests"]},
                soft_limit=NUMBER,
                hard_limit=NUMBER,
            ),
            checks=several(
                exactly(
                    "method path interval timeout grace_period",
                    method={"const": "GET"},
                    path=TEXT,
                    interval=TEXT,
                    timeout=TEXT,
                    grace_period=TEXT,
                )
            ),
        ),
        mounts=exactly(
            "source destination initial_size",
            source={"type": "string", "pattern": "^[a-z0-9_]{1,30}$"},
            destination=TEXT,
            initial_size=TEXT,
        ),
        vm=several(exactly("size memory", size=TEXT, memory=TEXT)),
    ),
    ".do/app.yaml": exactly(
        "name services",
        name={"type": "string", "pattern": "^[a-z][a-z0-9-]{0,30}[a-z0-9]$"},
        services=several(
            exactly(
                "name git dockerfile_path http_port instance_count instance_size_slug health_check termination envs",
                name=TEXT,
                git=exactly("repo_clone_url branch", repo_clone_url=TEXT, branch=TEXT),
                dockerfile_path=TEXT,
                http_port=NUMBER,
                instance_count=NUMBER,
                instance_size_slug={"type": "string", "pattern": "^apps-"},
                health_check=exactly(
                    "http_path initial_delay_seconds period_seconds timeout_seconds failure_threshold",
                    http_path=TEXT,
                    initial_delay_seconds=NUMBER,
                    period_seconds=NUMBER,
                    timeout_seconds=NUMBER,
                    failure_threshold=NUMBER,
                ),
                termination=exactly(
                    "drain_seconds grace_period_seconds",
                    drain_seconds={"type": "integer", "minimum": 1, "maximum": 110},
                    grace_period_seconds={"type": "integer", "minimum": 1, "maximum": 600},
                ),
                envs=several(
                    {
                        "oneOf": [
                            exactly("key scope value", key=TEXT, scope={"const": "RUN_TIME"}, value=TEXT),
                            exactly(
                                "key scope type",
                                "value",
                                key=TEXT,
                                scope={"const": "RUN_TIME"},
                                type={"const": "SECRET"},
                                value=TEXT,
                            ),
                        ]
                    }
                ),
            )
        ),
    ),
    "heroku.yml": exactly("build", build=exactly("docker", docker=exactly("web", web={"const": "Dockerfile"}))),
    "app.json": exactly(
        "name description keywords stack formation env",
        name=TEXT,
        description=TEXT,
        keywords=several(TEXT),
        stack={"const": "container"},
        formation=exactly("web", web=exactly("quantity size", quantity={"const": 1}, size=TEXT)),
        env={
            "type": "object",
            "additionalProperties": exactly(
                "description",
                "value required generator",
                description=TEXT,
                value=TEXT,
                required=YES,
                generator={"const": "secret"},
            ),
        },
    ),
}
SCHEMAS[".do/deploy.template.yaml"] = exactly("spec", spec=SCHEMAS[".do/app.yaml"])
