#!/usr/bin/env escript
%% The workloads in Erlang: by_erlang.erl ROW COUNT SIZE ROUNDS prints what one operation costs.
%%! +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none

%% Actors are gen_servers, of which there is one kind; its state says what it does with a number:
%%   {counter, Count, Expected, Owner}  counts, and tells its owner when it has had them all
%%   {hop, Next, Owner}                 passes the token on, less one
%%   idle                               nothing
%% All of them answer requests and crash on command. CPU time is that of the whole virtual machine; the work is done
%% ROUNDS times, as the clock counts milliseconds, and once beforehand.

-module(by_erlang).
-mode(compile).
-export([main/1, start_link/2, init/1, handle_call/3, handle_cast/2]).

main(["version"]) ->
    io:format("Erlang/OTP ~s, erts ~s~n", [erlang:system_info(otp_release), erlang:system_info(version)]);
main([Row, Count, Size, Rounds]) ->
    logger:set_primary_config(level, none),  % crashes are wanted here
    io:format("~p~n", [row(Row, list_to_integer(Count), list_to_integer(Size), list_to_integer(Rounds))]).

row("tell", Count, _, Rounds) ->
    cost(Count, Rounds, fun() -> start({counter, 0, Count, self()}) end, fun(Actor) -> tell(Actor, Count) end,
         fun gen_server:stop/1);
row("ask", Count, _, Rounds) ->
    cost(Count, Rounds, fun() -> start(idle) end, fun(Actor) -> ask(Actor, Count) end, fun gen_server:stop/1);
row("ring", Count, Size, Rounds) ->
    cost(Count, Rounds, fun() -> ring(Size) end, fun([First | _]) -> token(First, Count) end, fun stop_all/1);
row("spawn_stop", Count, _, Rounds) ->
    cost(Count, Rounds, fun() -> none end, fun(_) -> spawn_stop(Count) end, fun(_) -> ok end);
row("restart", Count, Siblings, Rounds) ->
    cost(Count, Rounds, fun() -> supervisor(Siblings) end, fun(_) -> crashes(Count) end, fun gen_server:stop/1);
row("publish", Count, Size, Rounds) ->
    Messages = Count div Size,
    cost(Messages * Size, Rounds, fun() -> [start({counter, 0, Messages, self()}) || _ <- lists:seq(1, Size)] end,
         fun(Actors) -> publish(Actors, Messages) end, fun stop_all/1);
row("idle_bytes", Count, _, _) ->
    Before = memory(),
    Actors = [start({counter, 0, Count, self()}) || _ <- lists:seq(1, Count)],
    Taken = memory() - Before,
    stop_all(Actors),
    Taken / Count.

%% CPU microseconds of one operation of Work, which gets what Setup has made; Teardown gets it afterwards.
cost(Count, Rounds, Setup, Work, Teardown) ->
    [_ | Costs] = [round(Setup, Work, Teardown) || _ <- lists:seq(0, Rounds)],
    lists:sum(Costs) * 1000 / (Rounds * Count).

round(Setup, Work, Teardown) ->
    Made = Setup(),
    garbage_collect(),
    {Begin, _} = statistics(runtime),
    Work(Made),
    {End, _} = statistics(runtime),
    Teardown(Made),
    End - Begin.

memory() ->
    garbage_collect(),
    erlang:memory(processes).

tell(Actor, Count) ->
    told(Actor, Count),
    receive done -> ok end.

told(_, 0) -> ok;
told(Actor, N) ->
    gen_server:cast(Actor, {number, N}),
    told(Actor, N - 1).

ask(_, 0) -> ok;
ask(Actor, N) ->
    gen_server:call(Actor, {number, N}),
    ask(Actor, N - 1).

ring(Size) ->
    Owner = self(),
    Actors = [start({hop, none, Owner}) || _ <- lists:seq(1, Size)],
    [First | Others] = Actors,
    [ok = gen_server:call(Actor, {next, Next}) || {Actor, Next} <- lists:zip(Actors, Others ++ [First])],
    Actors.

token(First, Count) ->
    gen_server:cast(First, {number, Count - 1}),
    receive done -> ok end.

spawn_stop(0) -> ok;
spawn_stop(N) ->
    Actor = start(idle),
    gen_server:cast(Actor, {number, N}),
    gen_server:stop(Actor),
    spawn_stop(N - 1).

%% A supervisor with one actor that crashes, which has a name and says when it is up, and idle siblings.
supervisor(Siblings) ->
    Crashing = #{id => crashing, start => {?MODULE, start_link, [crashing, {announced, self()}]}},
    Idle = [#{id => N, start => {?MODULE, start_link, [none, idle]}} || N <- lists:seq(1, Siblings)],
    {ok, Supervisor} = supervisor:start_link(?MODULE, {supervisor, [Crashing | Idle]}),
    receive up -> Supervisor end.

crashes(0) -> ok;
crashes(N) ->
    gen_server:cast(crashing, {crash, N}),
    receive up -> ok end,
    gen_server:call(crashing, {number, N}),
    crashes(N - 1).

publish(Actors, 0) ->
    [receive done -> ok end || _ <- Actors];
publish(Actors, N) ->
    [gen_server:cast(Actor, {number, N}) || Actor <- Actors],
    publish(Actors, N - 1).

start(State) ->
    {ok, Actor} = gen_server:start(?MODULE, State, []),
    Actor.

stop_all(Actors) ->
    [gen_server:stop(Actor) || Actor <- Actors].

start_link(none, State) -> gen_server:start_link(?MODULE, State, []);
start_link(Name, State) -> gen_server:start_link({local, Name}, ?MODULE, State, []).

%% What a supervisor is, and what an actor is.
init({supervisor, Children}) ->
    {ok, {#{strategy => one_for_one, intensity => 1000000000, period => 1}, Children}};
init({announced, Owner}) ->
    Owner ! up,
    {ok, idle};
init(State) ->
    {ok, State}.

handle_call({number, N}, _, State) -> {reply, N + 1, State};
handle_call({next, Next}, _, {hop, _, Owner}) -> {reply, ok, {hop, Next, Owner}}.

handle_cast({number, _}, {counter, Count, Expected, Owner}) ->
    Counted = Count + 1,
    if Counted =:= Expected -> Owner ! done; true -> ok end,
    {noreply, {counter, Counted, Expected, Owner}};
handle_cast({number, 0}, {hop, _, Owner} = State) ->
    Owner ! done,
    {noreply, State};
handle_cast({number, N}, {hop, Next, _} = State) ->
    gen_server:cast(Next, {number, N - 1}),
    {noreply, State};
handle_cast({number, _}, idle) -> {noreply, idle};
handle_cast({crash, _}, _) -> error(crashed).
