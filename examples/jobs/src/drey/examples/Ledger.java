package drey.examples;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * A job whose output shows every loss and every repetition.
 *
 * <p>Numbers go from a source with checkpointed positions through keyed state into files that are committed
 * exactly once. Each line is {@code number lane place}: {@code place} is how many numbers of that lane came
 * before, as the keyed state has counted them. So, over all committed files, in each lane the numbers are
 * lane, lane + 8, lane + 16, … without gap or repetition, and the place of a number is {@code number / 8};
 * else the source, the keyed state or the sink has lost something.
 */
public final class Ledger {
    public static void main(String[] words) throws Exception {
        Arguments arguments = new Arguments(words, "rate", "output");
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();

        environment
                .fromSource(
                        new NumberSource(arguments.number("rate", 200)),
                        WatermarkStrategy.noWatermarks(),
                        "numbers",
                        Types.LONG)
                .uid("numbers")
                .keyBy(number -> (int) (number % NumberSource.LANES), Types.INT)
                .process(new Place())
                .returns(Types.STRING)
                .name("place")
                .uid("place")
                .sinkTo(Lines.in(arguments.requiredPath("output")))
                .name("ledger")
                .uid("ledger");
        environment.execute();
    }

    private static final class Place extends KeyedProcessFunction<Integer, Long, String> {
        private final ValueStateDescriptor<Long> description = new ValueStateDescriptor<>("place", Types.LONG);

        @Override
        public void processElement(Long number, Context context, Collector<String> out) throws Exception {
            ValueState<Long> state = getRuntimeContext().getState(description);
            long place = state.value() == null ? 0 : state.value();
            state.update(place + 1);
            out.collect(number + " " + context.getCurrentKey() + " " + place);
        }
    }
}
